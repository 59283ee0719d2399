"""Model legs: `<name>.yaml`, and the builders that they name in `pipelines.build`. Knows Pipecat, never `bot`."""
