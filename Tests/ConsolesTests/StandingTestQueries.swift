import Kernel

enum StandingTestQueries {
    /// As after a change of the policy. Databases of tests are copies of one, and have its mark.
    static let markAnew = Statement("UPDATE policy_state SET mark = 'elsewhere' WHERE id = 1")
}
