"""thingsboard-gateway in its own Python, with a connector of ours: `run.py CONFIG_FOLDER`."""

import sys
from pathlib import Path

from thingsboard_gateway.gateway.tb_gateway_service import TBGatewayService
from thingsboard_gateway.tb_utility.tb_loader import TBModuleLoader

TBModuleLoader.PATHS = [str(Path(__file__).parent)]
TBGatewayService(str(Path(sys.argv[1]) / "tb_gateway.json"))
