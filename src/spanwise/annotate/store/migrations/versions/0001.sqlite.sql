CREATE TABLE event (
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    user_id TEXT,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL,
    CONSTRAINT pk_event PRIMARY KEY (seq)
);

CREATE INDEX ix_event_subject_seq ON event (subject, seq);

CREATE TABLE login_attempt (
    id INTEGER NOT NULL,
    name_key TEXT NOT NULL,
    address_hash TEXT NOT NULL,
    at TEXT NOT NULL,
    CONSTRAINT pk_login_attempt PRIMARY KEY (id)
);

CREATE INDEX ix_login_attempt_address_hash_at ON login_attempt (address_hash, at);

CREATE INDEX ix_login_attempt_name_key_at ON login_attempt (name_key, at);

CREATE TABLE project (
    id TEXT NOT NULL,
    slug TEXT NOT NULL,
    title TEXT NOT NULL,
    round INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_project PRIMARY KEY (id),
    CONSTRAINT uq_project_slug UNIQUE (slug)
);

CREATE TABLE text (
    sha256 TEXT NOT NULL,
    content TEXT NOT NULL,
    n_cp INTEGER NOT NULL,
    CONSTRAINT pk_text PRIMARY KEY (sha256)
);

CREATE TABLE user_account (
    id TEXT NOT NULL,
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT,
    disabled_at TEXT,
    created_at TEXT NOT NULL,
    CONSTRAINT pk_user_account PRIMARY KEY (id),
    CONSTRAINT uq_user_account_name_key UNIQUE (name_key)
);

CREATE TABLE api_token (
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    used_at TEXT,
    revoked_at TEXT,
    CONSTRAINT pk_api_token PRIMARY KEY (id),
    CONSTRAINT fk_api_token_user_id FOREIGN KEY(user_id) REFERENCES user_account (id),
    CONSTRAINT uq_api_token_hash UNIQUE (hash)
);

CREATE INDEX ix_api_token_user_id ON api_token (user_id);

CREATE TABLE export_log (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    format TEXT NOT NULL,
    selection TEXT NOT NULL,
    rows INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    at TEXT NOT NULL,
    user_id TEXT,
    CONSTRAINT pk_export_log PRIMARY KEY (id),
    CONSTRAINT fk_export_log_project_id FOREIGN KEY(project_id) REFERENCES project (id),
    CONSTRAINT fk_export_log_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE TABLE guideline (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    markdown TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    CONSTRAINT pk_guideline PRIMARY KEY (id),
    CONSTRAINT uq_guideline_project_id_version UNIQUE (project_id, version),
    CONSTRAINT fk_guideline_project_id FOREIGN KEY(project_id) REFERENCES project (id)
);

CREATE TABLE import_batch (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    format TEXT NOT NULL,
    filename TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    offset_unit TEXT NOT NULL,
    counts TEXT NOT NULL,
    report TEXT NOT NULL,
    at TEXT NOT NULL,
    user_id TEXT,
    rolled_back_at TEXT,
    CONSTRAINT pk_import_batch PRIMARY KEY (id),
    CONSTRAINT fk_import_batch_project_id FOREIGN KEY(project_id) REFERENCES project (id),
    CONSTRAINT fk_import_batch_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE TABLE label_set (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    categories TEXT NOT NULL,
    CONSTRAINT pk_label_set PRIMARY KEY (id),
    CONSTRAINT uq_label_set_project_id_version UNIQUE (project_id, version),
    CONSTRAINT fk_label_set_project_id FOREIGN KEY(project_id) REFERENCES project (id)
);

CREATE TABLE login_key (
    key_hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT,
    CONSTRAINT pk_login_key PRIMARY KEY (key_hash),
    CONSTRAINT fk_login_key_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE TABLE segmentation (
    sha256 TEXT NOT NULL,
    version INTEGER NOT NULL,
    bounds TEXT NOT NULL,
    CONSTRAINT pk_segmentation PRIMARY KEY (sha256, version),
    CONSTRAINT fk_segmentation_sha256 FOREIGN KEY(sha256) REFERENCES text (sha256)
);

CREATE TABLE session (
    id_hash TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (id_hash),
    CONSTRAINT fk_session_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE INDEX ix_session_user_id ON session (user_id);

CREATE TABLE item (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    ext_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    refs TEXT NOT NULL,
    meta TEXT NOT NULL,
    round INTEGER NOT NULL,
    priority FLOAT NOT NULL,
    overlap INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    selection_reason TEXT,
    selection_prob FLOAT,
    batch_id TEXT,
    CONSTRAINT pk_item PRIMARY KEY (id),
    CONSTRAINT uq_item_project_id_ext_id UNIQUE (project_id, ext_id),
    CONSTRAINT fk_item_project_id FOREIGN KEY(project_id) REFERENCES project (id),
    CONSTRAINT fk_item_batch_id FOREIGN KEY(batch_id) REFERENCES import_batch (id)
);

CREATE INDEX ix_item_batch_id ON item (batch_id);

CREATE INDEX ix_item_project_id_position ON item (project_id, position);

CREATE TABLE annotation (
    id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    slot_k INTEGER,
    user_id TEXT,
    annotator TEXT,
    kind TEXT NOT NULL,
    extra BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    supersedes_id TEXT,
    label_set_id TEXT NOT NULL,
    guideline_id TEXT,
    skipped_reason TEXT,
    comment TEXT NOT NULL,
    started_at TEXT,
    submitted_at TEXT NOT NULL,
    active_ms INTEGER NOT NULL,
    client_submission_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    response_order TEXT,
    suggested BOOLEAN NOT NULL,
    provenance TEXT,
    batch_id TEXT,
    CONSTRAINT pk_annotation PRIMARY KEY (id),
    CONSTRAINT uq_annotation_supersedes_id UNIQUE (supersedes_id),
    CONSTRAINT fk_annotation_project_id FOREIGN KEY(project_id) REFERENCES project (id),
    CONSTRAINT fk_annotation_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_annotation_user_id FOREIGN KEY(user_id) REFERENCES user_account (id),
    CONSTRAINT fk_annotation_supersedes_id FOREIGN KEY(supersedes_id) REFERENCES annotation (id),
    CONSTRAINT fk_annotation_label_set_id FOREIGN KEY(label_set_id) REFERENCES label_set (id),
    CONSTRAINT fk_annotation_guideline_id FOREIGN KEY(guideline_id) REFERENCES guideline (id),
    CONSTRAINT uq_annotation_client_submission_id UNIQUE (client_submission_id),
    CONSTRAINT fk_annotation_batch_id FOREIGN KEY(batch_id) REFERENCES import_batch (id)
);

CREATE INDEX ix_annotation_batch_id ON annotation (batch_id);

CREATE INDEX ix_annotation_item_id ON annotation (item_id);

CREATE INDEX ix_annotation_project_id_submitted_at ON annotation (project_id, submitted_at);

CREATE INDEX ix_annotation_user_id_submitted_at ON annotation (user_id, submitted_at);

CREATE TABLE comment (
    id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    content TEXT NOT NULL,
    at TEXT NOT NULL,
    resolved_at TEXT,
    CONSTRAINT pk_comment PRIMARY KEY (id),
    CONSTRAINT fk_comment_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_comment_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE INDEX ix_comment_item_id ON comment (item_id);

CREATE TABLE draft (
    item_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    rev INTEGER NOT NULL,
    document TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT pk_draft PRIMARY KEY (item_id, round, user_id),
    CONSTRAINT fk_draft_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_draft_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE TABLE gold (
    item_id TEXT NOT NULL,
    body TEXT NOT NULL,
    at TEXT NOT NULL,
    user_id TEXT,
    CONSTRAINT pk_gold PRIMARY KEY (item_id),
    CONSTRAINT fk_gold_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_gold_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE TABLE passage (
    item_id TEXT NOT NULL,
    k INTEGER NOT NULL,
    title TEXT NOT NULL,
    sentences TEXT NOT NULL,
    CONSTRAINT pk_passage PRIMARY KEY (item_id, k),
    CONSTRAINT fk_passage_item_id FOREIGN KEY(item_id) REFERENCES item (id)
);

CREATE TABLE response (
    id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    k INTEGER NOT NULL,
    text_sha256 TEXT NOT NULL,
    model TEXT,
    CONSTRAINT pk_response PRIMARY KEY (id),
    CONSTRAINT uq_response_item_id_k UNIQUE (item_id, k),
    CONSTRAINT fk_response_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_response_text_sha256 FOREIGN KEY(text_sha256) REFERENCES text (sha256)
);

CREATE TABLE slot (
    item_id TEXT NOT NULL,
    round INTEGER NOT NULL,
    k INTEGER NOT NULL,
    project_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    priority FLOAT NOT NULL,
    position INTEGER NOT NULL,
    user_id TEXT,
    lease_token TEXT,
    lease_expires_at TEXT,
    started_at TEXT,
    response_order TEXT,
    suggested BOOLEAN NOT NULL,
    CONSTRAINT pk_slot PRIMARY KEY (item_id, round, k),
    CONSTRAINT uq_slot_item_id_round_user_id UNIQUE (item_id, round, user_id),
    CONSTRAINT ck_slot_state CHECK (state IN ('open','leased','submitted','skipped')),
    CONSTRAINT ck_slot_owner CHECK (state NOT IN ('leased','submitted','skipped') OR user_id IS NOT NULL),
    CONSTRAINT fk_slot_item_id FOREIGN KEY(item_id) REFERENCES item (id),
    CONSTRAINT fk_slot_project_id FOREIGN KEY(project_id) REFERENCES project (id),
    CONSTRAINT fk_slot_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE INDEX ix_slot_queue ON slot (project_id, state, kind, priority DESC, position, k);

CREATE INDEX ix_slot_user_id_state ON slot (user_id, state);

CREATE TABLE suggestion (
    id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    source TEXT NOT NULL,
    version TEXT NOT NULL,
    body TEXT NOT NULL,
    score FLOAT,
    at TEXT NOT NULL,
    CONSTRAINT pk_suggestion PRIMARY KEY (id),
    CONSTRAINT uq_suggestion_item_id_source_version UNIQUE (item_id, source, version),
    CONSTRAINT fk_suggestion_item_id FOREIGN KEY(item_id) REFERENCES item (id)
);

CREATE TABLE adjudication (
    annotation_id TEXT NOT NULL,
    source_ids TEXT NOT NULL,
    reasons TEXT NOT NULL,
    CONSTRAINT pk_adjudication PRIMARY KEY (annotation_id),
    CONSTRAINT fk_adjudication_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE answer (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_answer PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_answer_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE correction (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    target INTEGER NOT NULL,
    content TEXT NOT NULL,
    base_sha256 TEXT NOT NULL,
    reason TEXT NOT NULL,
    diff_algo TEXT NOT NULL,
    ops TEXT NOT NULL,
    words_changed INTEGER NOT NULL,
    CONSTRAINT pk_correction PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_correction_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE evidence (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    owner_kind TEXT NOT NULL,
    owner INTEGER NOT NULL,
    passage INTEGER NOT NULL,
    sentences TEXT NOT NULL,
    title BOOLEAN NOT NULL,
    relation TEXT NOT NULL,
    CONSTRAINT pk_evidence PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_evidence_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE gold_score (
    annotation_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    score FLOAT NOT NULL,
    details TEXT NOT NULL,
    at TEXT NOT NULL,
    CONSTRAINT pk_gold_score PRIMARY KEY (annotation_id),
    CONSTRAINT fk_gold_score_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id),
    CONSTRAINT fk_gold_score_user_id FOREIGN KEY(user_id) REFERENCES user_account (id)
);

CREATE INDEX ix_gold_score_user_id_at ON gold_score (user_id, at);

CREATE TABLE judgement (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    target INTEGER NOT NULL,
    no_errors BOOLEAN NOT NULL,
    CONSTRAINT pk_judgement PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_judgement_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE missing (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    target INTEGER NOT NULL,
    category TEXT NOT NULL,
    comment TEXT NOT NULL,
    CONSTRAINT pk_missing PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_missing_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE preference (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    aspect TEXT NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    choice TEXT NOT NULL,
    strength INTEGER,
    CONSTRAINT pk_preference PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_preference_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE ranking (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    aspect TEXT NOT NULL,
    tiers TEXT NOT NULL,
    CONSTRAINT pk_ranking PRIMARY KEY (annotation_id, ord),
    CONSTRAINT fk_ranking_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);

CREATE TABLE span (
    annotation_id TEXT NOT NULL,
    ord INTEGER NOT NULL,
    body_id TEXT NOT NULL,
    target INTEGER NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    quote TEXT NOT NULL,
    category TEXT NOT NULL,
    severity TEXT,
    comment TEXT NOT NULL,
    origin TEXT NOT NULL,
    suggestion_id TEXT,
    antecedent TEXT,
    antecedent_start INTEGER,
    antecedent_end INTEGER,
    CONSTRAINT pk_span PRIMARY KEY (annotation_id, ord),
    CONSTRAINT ck_span_range CHECK (start >= 0 AND "end" > start),
    CONSTRAINT fk_span_annotation_id FOREIGN KEY(annotation_id) REFERENCES annotation (id)
);
