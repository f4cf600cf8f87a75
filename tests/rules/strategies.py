"""Small domains, so that names collide, lie under one another and come back."""

from __future__ import annotations

from hypothesis import strategies as st

JOB_ID = "0190a5a0-0000-7000-8000-000000000001"

segments = st.sampled_from(["a", "b", "aa"])
values = st.lists(segments, min_size=1, max_size=4).map(".".join)
label_keys = st.sampled_from(["g", "gg"])
label_texts = st.builds("{}:{}".format, label_keys, values)
label_sets = st.dictionaries(label_keys, values)
fact_names = st.sampled_from(["x", "x.y", "z"])
fact_values = st.sampled_from(["a", "b", "8", "a:b"])
fact_sets = st.dictionaries(fact_names, fact_values | st.lists(fact_values, max_size=3).map(tuple))
globs = st.text("ab.*?-", min_size=1, max_size=5)
requirements = st.one_of(
    label_texts, globs.map("host:".__add__), st.builds("fact.{}:{}".format, fact_names, fact_values)
)
selectors = st.lists(st.builds("{}{}".format, st.sampled_from(["", "!"]), requirements), min_size=1, max_size=4).map(
    ",".join
)
hosts = st.sampled_from(["a", "b", "a.b", "a-b"])

# Whatever a stranger may write, lone surrogates included.
any_text = st.text(st.characters(exclude_categories=()))
# Almost right, so that both answers are frequent.
nearly_names = st.text("aB1-_.:=*> \u212a\ud800", max_size=8)
anything = any_text | nearly_names
