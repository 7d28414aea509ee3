"""The settings that were put on record last are read back from rows that others may have written."""

import json

import pytest

from mcpward.cli.site import in_site, settings_of
from mcpward.operations.settings_act import OBJECT, note_settings
from mcpward.storage.traffic_filter import TrafficFilter
from support.records import keep

FORMS = ["[]", '"text"', "null", "[" * 5000, "no JSON", '{"object":"settings","after":[]}']
SOURCES = '{"object":"settings","after":{"sources":["a"],"settings":["b"],"digest":[]}}'


@pytest.mark.parametrize("arguments", [*FORMS, SOURCES])
def test_an_act_of_another_form_does_not_keep_the_site_from_starting(site, arguments):
    row = {"id": "0" * 16, "at": 1.0, "method": "act", "way": "operator", "phase": "act", "arguments": arguments}

    async def work(opened):
        await keep(opened.store.traffic, row)
        await note_settings(opened, settings_of(None))
        return await opened.store.traffic.select(TrafficFilter(acts=True, limit=10))

    acts = in_site(settings_of(None), work)
    assert len(acts) == 2
    assert json.loads(acts[0]["arguments"])["object"] == OBJECT
