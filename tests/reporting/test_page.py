import base64
import hashlib
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.reporting.page import render_page, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(JSON)
def test_embedded_json_reads_back_and_cannot_end_its_element(data):
    text = write_json(data)

    assert json.loads(text) == data
    assert not set(text) & set("<>&\u2028\u2029")


def test_the_policy_names_the_style_and_script_that_are_there():
    html = render_page({"devices": ["</script><script>alert(1)</script>"]}, "summary")

    for kind, body in (
        ("style", re.search("<style>(.*?)</style>", html, re.S)),
        ("script", re.search("<script>(.*?)</script>", html, re.S)),
    ):
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in html
    assert html.count("<script") == 2


def test_the_page_names_no_other_place():
    html = render_page({}, "")

    elsewhere = r"""(?:src|href)="(?!#|data:)|url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)"""
    assert re.findall(elsewhere, html) == []


def test_the_summary_for_readers_without_scripts_is_escaped():
    assert "worst: &lt;script&gt;" in render_page({}, "worst: <script>")


def test_marks_of_the_template_in_the_data_change_nothing():
    html = render_page({"devices": ["@@data@@"]}, "@@style@@")

    assert '["@@data@@"]' in html
    assert "<pre>@@style@@</pre>" in html
