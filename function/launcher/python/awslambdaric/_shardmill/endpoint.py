"""Makes botocore before 1.31 honour AWS_ENDPOINT_URL, as later ones do, so that its calls come back to the server."""

import functools
import os

VARIABLE = "AWS_ENDPOINT_URL"


def configured(session, service):
    """The endpoint that the environment sets for a service; None for none. Source: AWS SDKs and Tools Reference, "Service-specific endpoints"."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    if any(name.startswith(VARIABLE + "_") for name in os.environ):
        try:
            service = session.get_service_model(service).service_id
        except Exception:
            pass  # the client will say what is wrong with it
        own = os.environ.get(VARIABLE + "_" + service.upper().replace(" ", "_").replace("-", "_"))
        if own:
            return own
    return os.environ.get(VARIABLE) or None


def knows_endpoints():
    import botocore.configprovider

    return "ignore_configured_endpoint_urls" in botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES


def patched(create_client):
    @functools.wraps(create_client)
    def with_endpoint(self, service_name, region_name=None, api_version=None, use_ssl=True, verify=None, endpoint_url=None, *args, **more):
        if endpoint_url is None:
            endpoint_url = configured(self, service_name)
        return create_client(self, service_name, region_name, api_version, use_ssl, verify, endpoint_url, *args, **more)

    return with_endpoint


def patch_botocore(module):
    if not knows_endpoints():
        module.Session.create_client = patched(module.Session.create_client)


def patch_aiobotocore(module):
    if not knows_endpoints():
        module.AioSession._create_client = patched(module.AioSession._create_client)


PATCHES = {"botocore.session": patch_botocore, "aiobotocore.session": patch_aiobotocore}
