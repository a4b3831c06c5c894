"""What each column of a sample looks like, and which role it may play."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from batch_scoring.ingestion.inspection.numbers import NumberLook, number_look
from batch_scoring.ingestion.inspection.times import TimeLook, time_look
from batch_scoring.ingestion.interpretation import EPOCHS, EXCEL
from batch_scoring.ingestion.units import is_unit, unit_of

# Words in the names of columns, by the role they speak for; the more telling ones first.
ROLE_WORDS: dict[str, list[str]] = {
    role: words.split()
    for role, words in {
        "timestamp": "timestamp ts time datetime date zeit zeitstempel datum uhrzeit fecha hora when at "
        "created measured recorded observed sampled logged changed updated utc epoch",
        "device": "device deviceid machine asset unit equipment turbine station host node gateway engine "
        "pump motor slave entity plant meter logger thing serial mac vin subject patient mote eui site "
        "location room building home house vehicle coreid anlage maschine geraet gerät instance name id",
        "sensor": "sensor tag metric field channel signal quantity measurement parameter param variable "
        "attribute property series point measure kind type key topic sensorid itemid tagid tagindex pointid "
        "channelid register name id groesse größe kanal",
        "value": "value val reading wert state result measurement amount data y v valor payload",
    }.items()
}
_NO_SENSORS = (
    "no index idx row rownum nr id uid seq sequence entry lat lon lng latitude longitude label labels "
    "anomaly changepoint target class outlier event fault failure attack year month day hour minute second "
    "jahr monat tag stunde record type msgid qos retain ms msec millis millisecond milliseconds millitm "
    "partition quality dataintegrity qn numericid version"
)
# Numbers that are no measurement, and names that rows go by.
NO_SENSORS = frozenset(_NO_SENSORS.split())
# What ends the name of a number that stands for something, such as a state.
_CODES = frozenset(("code", "id", "nr", "num", "number"))
# Of LoRaWAN uplinks, and of messages.
_OF_RADIO = frozenset(("fcnt", "fport", "payloadlen", "payloadlength"))
# Of dates without a time of day.
_DATES = frozenset(("date", "datum", "fecha", "jour"))
# What is said of a reading, and names nothing.
REMARKS = frozenset(
    ("quality", "qual", "qc", "q", "status", "flag", "flags", "uom", "units", "remark", "comment")
)
# What PI Web API says of each value, true or false.
_FLAGS = frozenset(("good", "questionable", "substituted", "annotated"))
# What is measured, as files and columns are named after it.
_QUANTITIES = (
    "temp temperature temperatur humidity hum feuchte pressure druck current strom voltage spannung power "
    "leistung energy energie flow durchfluss level pegel vibration acceleration speed rpm torque frequency "
    "co noise light wind rain load weight"
)
QUANTITIES = frozenset(_QUANTITIES.split())
# What a radio module or a broker sends as it is.
_RAW = frozenset(("payload", "data", "raw", "bytes", "hex"))
_ENCODED = re.compile(
    r"0x[0-9A-Fa-f]+|(?:[0-9A-Fa-f]{2}){4,}|(?:[A-Za-z0-9+/]{4}){2,}|(?:[A-Za-z0-9+/]{4})+[A-Za-z0-9+/]{2,3}={1,2}"
)
_FEW = 200
# A column that counts this many rows from the first on is no measurement.
_LEAST_ROWS = 10


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a sample; of thousands, each is only itself, so that sets of them are quick.

    Attributes
    ----------
    name : str
        As a setting names it: a header, or the path into a JSON object.
    texts : tuple of str
        The fields of the sample that are not empty, stripped, in the order of the rows.
    n_empty : int
        Fields without a text.
    type : str
        The type where the format has types, such as ``"timestamp[us]"``; else empty.
    """

    name: str
    texts: tuple[str, ...]
    n_empty: int = 0
    type: str = ""

    @cached_property
    def time(self) -> TimeLook | None:
        """How it states times; None where it does not, as where its name is of time that went by."""
        look = time_look(self.texts, is_date=bool(_DATES & set(self.words)))
        is_elapsed = look is not None and look.formats == (EXCEL,) and unit_of(self.name) is not None
        return None if is_elapsed else look

    @cached_property
    def number(self) -> NumberLook | None:
        """How it states numbers; None where it does not."""
        return number_look(self.texts)

    @cached_property
    def distinct(self) -> int:
        """Number of different texts."""
        return len(set(self.texts))

    @cached_property
    def is_clearly_time(self) -> bool:
        """Whether it is a time that cannot be a number of something else."""
        if self.time is None or self.time.holds == "clock":
            return False
        if self.time.formats[0] in (*EPOCHS, EXCEL) or self.texts[0].isdigit():
            return self.fit("timestamp") > 0
        return True

    @property
    def is_number(self) -> bool:
        """Whether it may be measured values."""
        return self.number is not None and not self.is_clearly_time and not self.is_encoded

    @property
    def is_id(self) -> bool:
        """Whether few texts are repeated, as names of devices and sensors are."""
        is_repeated = self.distinct <= max(1, len(self.texts) // 2) or len(self.texts) <= 3
        return (
            bool(self.texts)
            and not self.is_remark
            and self.time is None
            and self.number is None
            and self.distinct <= _FEW
            and is_repeated
        )

    @property
    def is_remark(self) -> bool:
        """Whether its texts say something of each reading, such as how good it is."""
        # A unit named B may be a machine.
        may_be = len(self.words) > 1 or any(len(text) > 1 for text in self.texts)
        are_units = "unit" in self.words and may_be and all(map(is_unit, set(self.texts)))
        words = self.words[:-1] if self.words[-1:] == ["code"] else self.words  # as in StatusCode
        return are_units or bool(set(words[-1:]) & REMARKS) or self.is_flag

    @property
    def is_flag(self) -> bool:
        """Whether it says of each value whether it is good, as PI Web API does."""
        return bool(set(self.words[-1:]) & _FLAGS) and {one.lower() for one in self.texts} <= {
            "true",
            "false",
        }

    @property
    def is_encoded(self) -> bool:
        """Whether its texts are bytes in hexadecimal or base64, which nothing here can decode."""
        # 016710ff is a payload, not a number with a unit.
        if not _RAW & set(self.words):
            return False
        has_letters = any(re.search("[A-Za-z]", text) for text in self.texts)
        return has_letters and all(map(_ENCODED.fullmatch, self.texts))

    @cached_property
    def words(self) -> list[str]:
        """The words of its name, in lower case."""
        return name_words(self.name)

    def fit(self, role: str) -> int:
        """Return how well its name speaks for a role; 0 is not at all."""
        known = ROLE_WORDS[role]
        # Of a path into an object, the last name says what a number is.
        words = name_words(self.name.rpartition(".")[2]) if role == "value" else self.words
        found = [len(known) - known.index(word) for word in words if word in known]
        whole = "".join(words)
        if whole in known:
            found.append(len(known) - known.index(whole) + len(known))
        return max(found, default=0)

    @property
    def is_no_sensor(self) -> bool:
        """Whether its numbers count or name rows and places, and measure nothing."""
        words = set(self.words)
        has_word = bool(words & NO_SENSORS)
        counts_rows = self.number is not None and self.number.is_row_number
        begins = len(self.texts) >= _LEAST_ROWS and self.texts[0] in ("0", "1")
        if counts_rows and (has_word or begins or not self.words):
            return True
        if "".join(self.words[-2:]) in _OF_RADIO:
            return True
        if self.is_flag:
            return True
        return has_word and words <= NO_SENSORS | {"is", "of", "the", "time"}


def name_words(name: str) -> list[str]:
    """Split a name into words in lower case.

    Examples
    --------
    >>> name_words("end_device_ids.deviceId (no)")
    ['end', 'device', 'ids', 'device', 'id', 'no']
    """
    spaced = re.sub(r"(?<=[a-zäöüß0-9])(?=[A-ZÄÖÜ])", " ", name)
    return re.findall(r"[a-zäöüß]+|\d+", spaced.lower())


def _own_name(name: str) -> str:
    """Return the last key of a path, with the one before it where that says what it is of: ``device.id``."""
    *outer, last = name.split(".")
    return ".".join([*(outer[-1:] if last.lower() in ("id", "name", "eui") else []), last])


def best_for(role: str, columns: Sequence[Column]) -> Column | None:
    """Return the column whose name speaks most for a role; None where none does.

    A code is no value, and what varies is one before what does not.
    """
    fitting = [column for column in columns if column.fit(role)]
    if role == "value":
        fitting = [column for column in fitting if not set(column.words[-1:]) & _CODES]
    if role == "device":  # deviceInfo.tenantId is less of one than deviceInfo.deviceName
        return max(
            fitting,
            key=lambda one: (replace(one, name=_own_name(one.name)).fit(role), one.fit(role)),
            default=None,
        )
    if role in ("sensor", "value"):
        fitting.sort(key=lambda column: column.distinct > 1, reverse=True)
        fitting = [column for column in fitting if (column.distinct > 1) == (fitting[0].distinct > 1)]
    return max(fitting, key=lambda column: column.fit(role), default=None)
