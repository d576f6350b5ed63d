"""`python -m sealift_installer` is `unseal`."""

import sys

from sealift_installer.cli import main

sys.exit(main())
