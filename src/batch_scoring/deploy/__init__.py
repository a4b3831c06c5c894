"""Deploy to Azure: image, template, workflows and stream query; nothing here is imported by a run."""
