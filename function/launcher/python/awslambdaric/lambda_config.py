import os


class LambdaConfigProvider:
    AWS_LAMBDA_RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"

    def __init__(self, args, environ=None):
        environ = os.environ if environ is None else environ
        if len(args) < 2:
            raise ValueError("Handler not set")
        self.handler = args[1]
        self.api_address = environ[self.AWS_LAMBDA_RUNTIME_API]
        # AWS's client waits for work in a thread, so that signal handlers run. Here a signal interrupts the wait.
        self.use_thread_polling = False
