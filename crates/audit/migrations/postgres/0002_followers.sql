-- How far others who get the records have got: the position of the last entry that they have.
CREATE TABLE followers (
    name     TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);
