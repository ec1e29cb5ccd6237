"""What a person may say of a deployment, validated before anything starts."""
