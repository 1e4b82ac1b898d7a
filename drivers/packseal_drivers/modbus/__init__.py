"""The Modbus road: what is read, how it is asked for, and the connection that several batteries may share."""
