# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The real MTAs, each made once and shared by the stories."""

import pytest
from ways import Ways


@pytest.fixture(scope="session")
def ways(net):
    made = Ways(net)
    yield made
    made.stop()


@pytest.fixture
def site(ways, request):
    """The way of hand-over that the parameter names: an MTA with an empty queue, and its stsgated."""
    made = ways.get(request.param)
    yield made
    made.back_to_work()
