"""No settings: Dynaconf asks for this module, and where it is missing searches call stack and disk for it."""
