import Consoles
import Kernel
import TestSupport
import Testing

@testable import Web

/// `/scim/v2` and the tokens of service accounts, as they are met over HTTP.
@Suite struct ScimAPITests {
    private static func token(_ loopback: Loopback, _ operation: String, _ input: JSON, of person: String) async throws
        -> String
    {
        let outcome = try await loopback.pipeline.run(
            OperationRequest(operation: operation, input: input, justification: "because the test needs it"),
            by: Caller(
                actor: .system("test"), person: person, displayName: "Test", client: .worker, requestID: "req_test"))
        guard case .applied(let applied) = outcome.result else { throw StoreError.other("it waits") }
        return try #require(applied.reveal["token"])
    }

    private static func put(_ loopback: Loopback, _ entities: [any Entity]) async throws {
        var draft = EventDraft(at: loopback.test.clock.clock.now, .system, "test.put", actor: .system("test"))
        draft.changes = entities.map { EventDraft.ChangeRecord(.create($0)) }
        try await loopback.pipeline.record([draft], also: entities.flatMap { $0.insert() })
    }

    private static func send(
        _ loopback: Loopback, _ method: String, _ path: String, token: String?, _ body: String? = nil,
        headers: [(String, String)] = []
    ) async throws -> Loopback.Answer {
        var all = headers
        if let token { all.append(("Authorization", "Bearer \(token)")) }
        if body != nil { all.append(("Content-Type", "application/scim+json")) }
        return try await loopback.send(method, "/scim/v2" + path, headers: all, body: body.map { Array($0.utf8) })
    }

    private static let dora = """
        {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"dora@x.example",
        "emails":[{"value":"dora@x.example","primary":true}],"displayName":"Dora"}
        """

    @Test(arguments: TestDatabase.Kind.allCases)
    func `a person is made, read, patched and deleted in the protocol's words`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let token = try await Self.token(loopback, "scim_token.create", ["name": "Okta"], of: "stf_x")
            let made = try await Self.send(loopback, "POST", "/Users", token: token, Self.dora)
            #expect(made.status == 201 && made["Content-Type"] == "application/scim+json", "\(made.text)")
            let id = try #require(made.json["id"]?.string)
            #expect(made["Location"] == "http://localhost:8080/scim/v2/Users/\(id)")
            let tag = try #require(made["ETag"])
            #expect(tag == made.json["meta"]?["version"]?.string && tag.hasPrefix("W/\""))
            #expect(made["RateLimit-Policy"]?.contains("token") != true || made["RateLimit"] != nil)

            let same = try await Self.send(
                loopback, "GET", "/Users/\(id)", token: token, headers: [("If-None-Match", tag)])
            #expect(same.status == 304 && same.body.isEmpty)
            let found = try await Self.send(
                loopback, "GET", "/Users?filter=userName%20eq%20%22dora%40x.example%22", token: token)
            #expect(found.json["totalResults"] == 1 && found.json["Resources"]?.array?.first?["id"]?.string == id)

            let patch =
                #"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"displayName","value":"Dora R."}]}"#
            let stale = try await Self.send(
                loopback, "PATCH", "/Users/\(id)", token: token, patch, headers: [("If-Match", "W/\"77\"")])
            #expect(stale.status == 412 && stale.json["status"] == "412")
            let patched = try await Self.send(
                loopback, "PATCH", "/Users/\(id)", token: token, patch, headers: [("If-Match", tag)])
            #expect(patched.status == 200 && patched.json["displayName"] == "Dora R." && patched["ETag"] != tag)

            let gone = try await Self.send(loopback, "DELETE", "/Users/\(id)", token: token)
            #expect(gone.status == 204 && gone.body.isEmpty)
            #expect(try await Self.send(loopback, "GET", "/Users/\(id)", token: token).status == 404)
        }
    }

    @Test func `every refusal is an error of the protocol`() async throws {
        try await Loopback.run { loopback in
            let token = try await Self.token(loopback, "scim_token.create", ["name": "Okta"], of: "stf_x")
            _ = try await Self.send(loopback, "POST", "/Users", token: token, Self.dora)
            for (method, path, body, status, type) in [
                ("GET", "/Users/stf_none", nil, 404, nil), ("GET", "/Nothing/here", nil, 404, nil),
                ("POST", "/Users", Self.dora, 409, "uniqueness"), ("POST", "/Users", "{", 400, "invalidSyntax"),
                ("POST", "/Users", "[]", 400, "invalidSyntax"), ("POST", "/Users", "{}", 400, "invalidValue"),
                ("GET", "/Users?filter=userName%20is%20x", nil, 400, "invalidFilter"),
                ("GET", "/Users?startIndex=x", nil, 400, "invalidValue"),
                ("POST", "/Bulk", "{}", 501, nil), ("PUT", "/Users", Self.dora, 405, nil),
                ("DELETE", "/ServiceProviderConfig", nil, 405, nil),
            ] as [(String, String, String?, Int, String?)] {
                let answer = try await Self.send(loopback, method, path, token: token, body)
                #expect(answer.status == status, "\(method) \(path): \(answer.text)")
                #expect(answer["Content-Type"] == "application/scim+json", "\(method) \(path)")
                #expect(answer.json["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"])
                #expect(answer.json["status"]?.string == "\(status)" && answer.json["scimType"]?.string == type)
                #expect(answer.json["detail"]?.string?.isEmpty == false)
            }
            for token in [
                nil, "psc_nobody", "pst_session_1", loopback.door.token("ann", permissions: ["scim.configure"]),
            ] {
                let answer = try await Self.send(loopback, "GET", "/Users", token: token)
                #expect(answer.status == 401 && answer["WWW-Authenticate"]?.hasPrefix("Bearer") == true)
                #expect(answer.json["status"] == "401")
            }
            // A provider's token opens nothing else.
            #expect(try await loopback.api("GET", "/tenants", token: token).status == 401)
        }
    }

    @Test(arguments: TestDatabase.Kind.allCases)
    func `an account's token opens the API, and nothing that is for people`(kind: TestDatabase.Kind) async throws {
        try await Loopback.run(kind) { loopback in
            let now = loopback.test.clock.clock.now
            var people: [any Entity] = [
                Staff(
                    id: "stf_owner", email: "owner@x.example", name: "Owner", status: .active, invitedBy: nil,
                    createdAt: now, updatedAt: now),
                Role(id: "reader", title: "Reader", summary: "Reads."),
                Grant(id: "grt_1", staffID: "stf_owner", role: "reader", grantedBy: "x", grantedAt: now),
            ]
            people += ["tenant.view", "tenant.update", "tenant.suspend"].map {
                RolePermission(role: "reader", permission: $0) as any Entity
            }
            try await Self.put(loopback, people)
            let tenant = try await loopback.tenant("acme")
            let token = try await Self.token(
                loopback, "service_account.create",
                ["kind": "service", "name": "Nightly", "scopes": ["tenant.view", "tenant.update", "user.view"]],
                of: "stf_owner")
            #expect(token.hasPrefix("psa_"))
            let me = try await loopback.api("GET", "/me", token: token)
            #expect(me.json["account"]?["owner"] == "stf_owner" && me.json["staff"] == nil)
            #expect(me.json["permissions"] == ["tenant.update", "tenant.view"])
            let read = try await loopback.api("GET", "/tenants/\(tenant.id)", token: token)
            #expect(read.status == 200)
            #expect(try await loopback.api("GET", "/users", token: token).status == 403)
            let renamed = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/update", token: token, key: "k-1", ["input": ["name": "Acme B"]],
                headers: [("If-Match", try #require(read["ETag"]))])
            #expect(renamed.status == 200, "\(renamed.text)")
            // High risk, one's session and one's second factor are for people.
            let suspended = try await loopback.api(
                "POST", "/tenants/\(tenant.id)/suspend", token: token, key: "k-2",
                ["reason_code": "abuse", "justification": "it says it must be done"])
            #expect(suspended.status == 403 && suspended.json["detail"]?.string?.contains("second factor") == true)
            #expect(try await loopback.api("POST", "/sessions/step-up", token: token, ["code": "123456"]).status == 403)
            #expect(try await loopback.api("DELETE", "/sessions/current", token: token).status == 403)
            #expect(try await loopback.api("GET", "/sessions", token: token).status == 403)
            let listed = try await loopback.api("GET", "/operations", token: token).json["items"]?.array ?? []
            #expect(listed.first { $0["name"] == "tenant.suspend" }?["allowed"] == false)
            #expect(listed.first { $0["name"] == "tenant.update" }?["allowed"] == true)
            // Not as a cookie, neither on a page nor for a download.
            #expect(try await loopback.page("/tenants", token: token).status == 303)
            let download = try await loopback.send(
                "GET", "/api/v1/tenants", headers: [("Cookie", "__Host-postern_staff=\(token)")])
            #expect(download.status == 401)
            #expect(try await loopback.api("GET", "/me", token: token + "x").status == 401)
        }
    }

    @Test func `an account has a limit of its own`() async throws {
        let few = { @Sendable (configuration: inout WebConfiguration) in configuration.accountRequestsPerMinute = 3 }
        try await Loopback.run(.sqlite, few) { loopback in
            let now = loopback.test.clock.clock.now
            try await Self.put(
                loopback,
                [
                    Staff(
                        id: "stf_owner", email: "owner@x.example", name: "Owner", status: .active, invitedBy: nil,
                        createdAt: now, updatedAt: now)
                ])
            let token = try await Self.token(
                loopback, "service_account.create", ["kind": "service", "name": "Nightly", "scopes": ["tenant.view"]],
                of: "stf_owner")
            for remaining in [2, 1, 0] {
                let answer = try await loopback.api("GET", "/me", token: token)
                #expect(answer.status == 200 && answer["RateLimit"]?.contains("r=\(remaining)") == true)
                #expect(answer["RateLimit-Policy"]?.contains("account") == true)
            }
            #expect(try await loopback.api("GET", "/me", token: token).status == 429)
        }
    }
}
