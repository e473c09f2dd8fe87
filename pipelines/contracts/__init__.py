"""What the parts agree on: schemas, identity, manifests, the recipe, storage, errors. Imports no Beam."""
