-- Who of the identity provider is which customer. One person, one customer; nobody shares one.
CREATE TABLE IF NOT EXISTS accounts (
    issuer      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    customer_id INTEGER NOT NULL UNIQUE REFERENCES customers (id),
    PRIMARY KEY (issuer, subject)
);
