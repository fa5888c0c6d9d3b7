"""A classic database, as the first Pagewire made it and filled it."""

CLASSIC = """
CREATE TABLE users (
    id SERIAL PRIMARY KEY,
    email VARCHAR(255) UNIQUE NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    name VARCHAR(255),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE messages (
    id SERIAL PRIMARY KEY,
    sender_id INTEGER REFERENCES users(id),
    recipient_id INTEGER REFERENCES users(id),
    content TEXT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE documents (
    id SERIAL PRIMARY KEY,
    user_id INTEGER REFERENCES users(id),
    filename VARCHAR(255) NOT NULL,
    file_path VARCHAR(500) NOT NULL,
    extracted_text TEXT,
    page_count INTEGER,
    file_size INTEGER,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO users (email, password_hash, name, created_at) VALUES
    ('Alice@Example.com', '$2b$12$', 'Alice', '2020-01-02 03:04:05'), ('bob@example.com', '$2b$12$', NULL, NULL);
INSERT INTO messages (sender_id, recipient_id, content, created_at) VALUES
    (1, 2, 'hello', '2020-01-02 03:04:06'), (2, 1, 'hi', NULL);
INSERT INTO documents (user_id, filename, file_path, extracted_text, page_count, file_size) VALUES
    (1, 'old.pdf', 'uploads/old.pdf', 'text', 3, NULL);
"""
