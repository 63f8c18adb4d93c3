lambda_warning = "LAMBDA_WARNING"

# What AWS logs before the error of a function that does not start.
lambda_unhandled_exception_warning_message = (
    lambda_warning + ": Unhandled exception. The most likely cause is an issue in the function code. However, in rare cases, a Lambda runtime update can"
    " cause unexpected function behavior. For functions using managed runtimes, runtime updates can be triggered by a function change, or can be applied"
    " automatically. To determine if the runtime has been updated, check the runtime version in the INIT_START log entry. If this error correlates with a"
    " change in the runtime version, you may be able to mitigate this error by temporarily rolling back to the previous runtime version. For more"
    " information, see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)
