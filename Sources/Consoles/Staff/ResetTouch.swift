import Kernel

/// Who had somebody's factors reset, or was shown the token by which an identity provider told of them, as an event says. A
/// person's row keeps the last of these alone, and each of them counts for 72 hours (spec: access §3).
struct ResetTouch {
    let staffID: String
    let touch: Standing.Touch

    private static let holderFact = "token_holder"

    /// What an event says of who was shown the token, to be found again here.
    static func facts(_ mandate: Mandate?) -> [String: JSON] { mandate.map { [holderFact: .string($0.holder)] } ?? [:] }

    /// - Returns: `nil` for an event behind which nobody is: a colleague who reactivates an account resets nothing, unless somebody
    ///   else may have used it.
    init?(_ row: Row) throws {
        let facts = try? JSON(parsing: row.bytes("leaf"))["facts"]
        let by: String
        if let holder = facts?[Self.holderFact]?.string {
            by = holder
        } else if facts?["factors"] != nil {
            by = try row.string("actor_id")
        } else {
            return nil
        }
        staffID = try row.string("target_id")
        touch = Standing.Touch(by: by, at: try row.instant("at"), kind: .refactored)
    }
}
