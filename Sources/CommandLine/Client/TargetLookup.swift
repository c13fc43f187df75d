import Kernel

/// Finds what a person means by an id, a slug, an external id or an e-mail address, and colleagues by theirs.
struct TargetLookup: Sendable {
    let client: APIClient

    /// - Throws: `.notFound` when nothing is called exactly this, offering what was found; `.usage` when several are, naming
    ///   them.
    func id(of text: String, prefix: String, type: String) async throws(CommandFailure) -> String {
        guard !Identifier.isValid(text, prefix: prefix) else { return text }
        if type == "staff", text.contains("@") { return try await colleague(text) }
        guard ["tenant", "user"].contains(type) else { return text }
        let answer = try await client.get("/api/v1/search", [("q", text)])
        let found = (answer["items"]?.array ?? []).filter { $0["type"]?.string == type }
        // Something is done to what is named: whatever begins like this, is about the same, or belongs to it is offered, and
        // never taken.
        let folded = text.lowercased()
        let exact = found.filter { item in
            item["id"]?.string == text || item["external_id"]?.string == text
                || ["slug", "email"].contains { item[$0]?.string == folded }
        }
        guard let first = exact.first, let id = first["id"]?.string else {
            throw CommandFailure(.notFound, "There is no \(type) \"\(text.printable)\"." + Self.offer(found))
        }
        guard exact.count == 1 else {
            throw CommandFailure(
                .usage, "\"\(text.printable)\" could be several; say which by its id:\n" + Self.list(exact))
        }
        return id
    }

    private static func offer(_ found: [JSON]) -> String {
        guard let only = found.first else { return "" }
        guard found.count == 1 else { return " Did you mean one of these?\n" + list(found) }
        return " Did you mean \((only["slug"] ?? only["email"] ?? only["id"] ?? .null).shown.printable)?"
    }

    private static func list(_ found: [JSON]) -> String {
        let lines = found.prefix(5).map { item in
            let names = [item["id"], item["slug"] ?? item["email"], item["name"]].map { ($0 ?? .null).shown }
            return "- \(names.joined(separator: "  "))".printable
        }
        return lines.joined(separator: "\n")
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
