"""All the Beam there is: the transforms, the exchange, the local executor, the engines, the driver."""
