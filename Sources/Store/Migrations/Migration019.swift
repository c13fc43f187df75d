/// Policy that changes: rules that ended, permissions that were taken away again.
enum Migration019 {
    static let tables = """
        ALTER TABLE approval_rules ADD COLUMN retired BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE role_permissions ADD COLUMN revoked BIGINT NOT NULL DEFAULT 0;
        """
}
