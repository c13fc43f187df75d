/// Who answers for what a provider does: who was shown its token, the one before it, and what was given through either.
enum Migration026 {
    static let tables = """
        -- Who was shown the token before the one in force.
        ALTER TABLE scim_tokens ADD COLUMN previous_by {text};
        -- The provider that asked for a grant, and who was shown its token.
        ALTER TABLE grants ADD COLUMN source {text};
        ALTER TABLE grants ADD COLUMN token_holder {text};
        ALTER TABLE pending_grants ADD COLUMN token_holder {text};
        -- The program that asked, in its owner's name.
        ALTER TABLE approvals ADD COLUMN account_id {text};
        CREATE INDEX approvals_account ON approvals (account_id, created_at, id) WHERE account_id IS NOT NULL;
        """
}
