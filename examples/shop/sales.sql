CREATE TABLE orders (
    id integer PRIMARY KEY, customer text NOT NULL, product text NOT NULL, cents bigint NOT NULL, status text NOT NULL,
    day date NOT NULL
);
INSERT INTO orders VALUES
    (1, 'ann', 'oak table', 49900, 'shipped', '2026-03-02'), (2, 'ann', 'desk lamp', 3900, 'paid', '2026-03-09'),
    (3, 'ben', 'oak chair', 12900, 'paid', '2026-03-09');
