"""Has no program find prompt_toolkit, whether it is installed or not: for the clients of tests.

Python imports this at its start from a folder of PYTHONPATH; clients.py says for whom.
"""

import sys

sys.modules["prompt_toolkit"] = None  # type: ignore[assignment] # to import it is an ImportError
