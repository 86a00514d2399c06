"""Search spaces as data: dotted settings of `pipeline.config.PipelineConfig` and their ranges."""
