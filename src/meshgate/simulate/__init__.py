"""Says what a request would meet, without sending one; pure.

The route that Envoy would choose is found on the translated resources by Envoy's own rules
of matching, then traced back to the rule, file and line that decided. Nothing here opens
a connection, reads a file or changes a model. `cli.explain` and the tests call it.
"""

from meshgate.simulate.call import UnknownCaller, call
from meshgate.simulate.json_form import as_json
from meshgate.simulate.patches_tried import try_patches
from meshgate.simulate.redact import redact
from meshgate.simulate.request import Request
from meshgate.simulate.stand_in import stand_in
from meshgate.simulate.verdict import Verdict

__all__ = ["Request", "UnknownCaller", "Verdict", "as_json", "call", "redact", "stand_in", "try_patches"]
