"""A survey as the tests need it."""

from ovparts_hf.data.custom.split import SplitRule
from ovparts_hf.data.custom.survey import survey
from ovparts_hf.data.formats.base import Source


def look(folder, taxonomy=None, rule=None, **options):
    source = Source(str(folder), taxonomy=taxonomy)
    return survey(source, "mine", rule=SplitRule(**(rule or {})), progress=False, **options)
