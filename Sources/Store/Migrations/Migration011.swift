import Kernel

/// What decides about a request, named by one row, and what a mutation's first round trip is made of.
enum Migration011 {
    static let tables = """
        -- Changes whenever a role, a permission of a role or an approval rule does, with the very same transaction: what was read under
        -- one mark need not be read again while the mark is the same. The version counts those changes; the mark tells apart two
        -- histories that have counted to the same number, as after a restore.
        CREATE TABLE policy_state (
            id BIGINT PRIMARY KEY CHECK (id = 1),
            version BIGINT NOT NULL,
            mark {text} NOT NULL
        );
        INSERT INTO policy_state (id, version, mark)
        SELECT 1, (SELECT COALESCE(SUM(version), 0) FROM roles) + (SELECT COALESCE(SUM(version), 0) FROM role_permissions)
            + (SELECT COALESCE(SUM(version), 0) FROM approval_rules), 'first';
        """

    /// Tables whose rows say who may do what, and who must agree.
    private static let policies = ["roles", "role_permissions", "approval_rules"]

    @Sendable static func special(_ dialect: Dialect) -> [String] {
        switch dialect {
        case .sqlite: policies.flatMap { marking($0, dialect) }
        case .postgres:
            [
                // With the owner's rights: the server's role may only read the row.
                """
                CREATE FUNCTION postern_mark_policy() RETURNS trigger
                LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
                BEGIN
                    UPDATE public.policy_state SET version = version + 1, mark = gen_random_uuid()::text WHERE id = 1;
                    RETURN NULL;
                END $$
                """
            ]
                + policies.flatMap { marking($0, dialect) } + [
                    // Ends the transaction unless a key is free: what travels behind it in one round trip is not run then.
                    """
                    CREATE FUNCTION postern_claim(free boolean) RETURNS boolean
                    LANGUAGE plpgsql AS $$
                    BEGIN
                        IF free IS NOT TRUE THEN
                            RAISE EXCEPTION 'the key is taken' USING ERRCODE = 'PT003';
                        END IF;
                        RETURN true;
                    END $$
                    """
                ]
        }
    }

    /// The triggers by which a change of a table's rows is another mark.
    static func marking(_ table: String, _ dialect: Dialect) -> [String] {
        switch dialect {
        case .sqlite:
            ["INSERT", "UPDATE", "DELETE"].map { verb in
                """
                CREATE TRIGGER policy_\(table)_\(verb.lowercased()) AFTER \(verb) ON \(table)
                BEGIN UPDATE policy_state SET version = version + 1, mark = lower(hex(randomblob(16))) WHERE id = 1; END
                """
            }
        case .postgres:
            [
                """
                CREATE TRIGGER policy AFTER INSERT OR UPDATE OR DELETE ON \(table)
                FOR EACH ROW EXECUTE FUNCTION postern_mark_policy()
                """
            ]
        }
    }
}
