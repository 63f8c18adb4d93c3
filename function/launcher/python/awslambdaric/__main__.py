import sys

from . import bootstrap
from ._shardmill import surroundings
from .lambda_config import LambdaConfigProvider
from .lambda_runtime_client import LambdaRuntimeClient


def main(args):
    config = LambdaConfigProvider(args)
    try:
        client = LambdaRuntimeClient(config.api_address, config.use_thread_polling)
        if surroundings.is_direct(config.api_address):
            client.next_follows = bootstrap.next_follows
        bootstrap.run(config.handler, client)
    except ConnectionError:
        sys.exit(0)  # the server is gone


if __name__ == "__main__":
    main(sys.argv)
