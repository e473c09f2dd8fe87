-- Tables about studies that the snapshot derives; the others are made from the schemas of analysis.records.

CREATE TABLE designs (design_order INTEGER NOT NULL, design_id VARCHAR NOT NULL, name VARCHAR NOT NULL, body VARCHAR NOT NULL);
COMMENT ON TABLE designs IS 'The studies of the workspace, in the order in which they were planned.';
COMMENT ON COLUMN designs.design_order IS 'place in that order, from 0';
COMMENT ON COLUMN designs.design_id IS 'hash of the whole design, written before any result';
COMMENT ON COLUMN designs.name IS 'its name';
COMMENT ON COLUMN designs.body IS 'the whole design, JSON';

CREATE TABLE slice_documents (
    design_id VARCHAR NOT NULL, slice VARCHAR NOT NULL, doc_id VARCHAR NOT NULL, part INTEGER NOT NULL, "row" INTEGER NOT NULL
);
COMMENT ON TABLE slice_documents IS 'The documents that a slice''s predicate selects, kept or not, train or heldout.';
COMMENT ON COLUMN slice_documents.design_id IS 'hash of the whole design';
COMMENT ON COLUMN slice_documents.slice IS 'name of the slice';
COMMENT ON COLUMN slice_documents.doc_id IS 'id of the document, 32 hex digits';
COMMENT ON COLUMN slice_documents.part IS 'number of the part of the plan';
COMMENT ON COLUMN slice_documents."row" IS 'row in its part';
