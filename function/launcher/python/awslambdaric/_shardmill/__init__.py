"""What stands in for AWS's surroundings: the clock of the server, the packages that AWS bundles, the endpoint of its services, causes of errors."""
