-- Pictures are large and mostly black: above 0 `bytes` are deflated and had this size before.
ALTER TABLE results ADD COLUMN plain_size INTEGER NOT NULL DEFAULT 0;
