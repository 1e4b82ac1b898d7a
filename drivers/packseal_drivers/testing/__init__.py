"""What a driver's tests need, for the drivers of other packages as well. No part of a running agent."""
