"""The schema as numbered steps; ``PRAGMA user_version`` says how many were applied.

A step is never edited once released: a change of schema is a new step. The meaning of each table
is described in docs/design/state.md.
"""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE layers (
            chain_id TEXT PRIMARY KEY,
            parent TEXT REFERENCES layers (chain_id),
            diff_id TEXT NOT NULL,
            short TEXT NOT NULL UNIQUE,
            size INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE images (
            id TEXT PRIMARY KEY,
            config_digest TEXT NOT NULL,
            manifest_digest TEXT,
            top_chain_id TEXT REFERENCES layers (chain_id),
            size INTEGER NOT NULL,
            created_at REAL NOT NULL
        ) STRICT""",
        """CREATE TABLE tags (
            reference TEXT PRIMARY KEY,
            image_id TEXT NOT NULL REFERENCES images (id)
        ) STRICT""",
        """CREATE TABLE repo_digests (
            reference TEXT PRIMARY KEY,
            image_id TEXT NOT NULL REFERENCES images (id)
        ) STRICT""",
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_at REAL NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL
        ) STRICT""",
    ),
)
