"""Print the app's own OpenAPI description: what the client's types are made of."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from main import create_app
from settings import Settings

app = create_app(Settings.model_construct())
print(json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False))  # noqa: T201
