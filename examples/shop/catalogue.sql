CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE stock (product INTEGER NOT NULL REFERENCES products, warehouse TEXT NOT NULL, pieces INTEGER NOT NULL);
INSERT INTO products VALUES (1, 'oak table', 49900), (2, 'oak chair', 12900), (3, 'desk lamp', 3900);
INSERT INTO stock VALUES (1, 'north', 4), (2, 'north', 30), (2, 'south', 12), (3, 'south', 75);
