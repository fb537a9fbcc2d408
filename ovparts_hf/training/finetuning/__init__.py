"""Fine-tuning without a recipe: settings that follow from the data, the model and the machine."""
