"""The same clients of the real API server as for what only speaks to it."""

from kube.conftest import api as api
