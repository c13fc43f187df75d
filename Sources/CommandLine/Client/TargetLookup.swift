import Kernel

/// Finds what a person means by an id, a slug, an external id or an e-mail address, and colleagues by theirs.
struct TargetLookup: Sendable {
    let client: APIClient

    /// - Throws: `.notFound` when nothing matches, `.usage` when several do, naming them.
    func id(of text: String, prefix: String, type: String) async throws(CommandFailure) -> String {
        guard !Identifier.isValid(text, prefix: prefix) else { return text }
        if type == "staff", text.contains("@") { return try await colleague(text) }
        guard ["tenant", "user"].contains(type) else { return text }
        let answer = try await client.get("/api/v1/search", [("q", text)])
        let found = (answer["items"]?.array ?? []).filter { $0["type"]?.string == type || $0["type"] == nil }
        // Something is done to what is found: a name that is only about the same is offered, never taken.
        if let near = found.first, near["matched"]?.string == "similar name" {
            throw CommandFailure(
                .notFound,
                "There is no \(type) \"\(text.printable)\". Did you mean \((near["slug"] ?? .null).shown.printable)?")
        }
        let exact = found.filter { item in
            ["id", "slug", "external_id", "email"].contains { item[$0]?.string == text }
        }
        let candidates = exact.isEmpty ? found : exact
        guard let first = candidates.first, let id = first["id"]?.string else {
            throw CommandFailure(.notFound, "There is no \(type) \"\(text.printable)\".")
        }
        guard candidates.count == 1 else {
            let names = candidates.prefix(5).map {
                "- \(($0["id"] ?? .null).shown)  \(($0["name"] ?? .null).shown)".printable
            }
            throw CommandFailure(
                .usage, "\"\(text.printable)\" could be several; say which by its id:\n" + names.joined(separator: "\n")
            )
        }
        return id
    }

    /// One of the staff by their whole address.
    private func colleague(_ email: String) async throws(CommandFailure) -> String {
        let answer = try await client.get("/api/v1/staff", [("email", email)])
        guard let id = answer["items"]?.array?.first?["id"]?.string else {
            throw CommandFailure(.notFound, "There is nobody among the staff with the address \(email.printable).")
        }
        return id
    }
}
