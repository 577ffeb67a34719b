"""Training: the visible loop, optimizers, schedules."""
