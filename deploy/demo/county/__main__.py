"""`python -m deploy.demo.county FOLDER`: write an invented county's records, one folder an agency."""

import sys

from deploy.demo.county import main

sys.exit(main(sys.argv[1:]))
