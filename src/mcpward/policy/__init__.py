"""Who × what → allowed or not, with the reason kept. Pure: reads values, answers values."""
