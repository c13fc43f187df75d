import Kernel
import Testing

@testable import Consoles

/// What patches come to, by the standard and as Entra ID and Okta send them.
@Suite struct ScimPatchTests {
    private static let user: JSON = [
        "id": "stf_1", "userName": "ann", "displayName": "Ann", "name": ["givenName": "Ann", "familyName": "Lee"],
        "emails": [["value": "ann@x.example", "type": "work"]], "active": true,
    ]
    private static let group: JSON = [
        "id": "support_l1", "displayName": "Support L1", "members": [["value": "stf_1"], ["value": "stf_2"]],
    ]

    private static func patched(_ resource: JSON, _ operations: JSON) throws(ProvisioningError) -> JSON {
        let isGroup = resource["members"] != nil
        var patch = ScimPatch(
            resource, attributes: isGroup ? ScimSchemas.groupAttributes : ScimSchemas.userAttributes)
        try patch.apply(["schemas": [.string(ScimSchemas.patch)], "Operations": operations])
        return .object(patch.resource)
    }

    private static func with(_ resource: JSON, _ members: [String: JSON?]) -> JSON {
        var out = resource.object ?? [:]
        for (name, value) in members { out[name] = value }
        return .object(out)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let operations: JSON
        let changed: [String: JSON?]
        var testDescription: String { name }
    }

    private static let cases: [Case] = [
        Case(
            name: "Okta deactivates", operations: [["op": "replace", "value": ["active": false]]],
            changed: ["active": false]),
        Case(
            name: "Entra ID deactivates", operations: [["op": "Replace", "path": "active", "value": "False"]],
            changed: ["active": "False"]),
        Case(
            name: "Entra ID changes names",
            operations: [
                ["op": "Replace", "path": "displayName", "value": "Ann B."],
                ["op": "Add", "path": "name.givenName", "value": "Anna"],
                ["op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@x.example"],
                ["op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "12"],
                [
                    "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                    "value": "Sales",
                ],
            ],
            changed: [
                "displayName": "Ann B.", "name": ["givenName": "Anna", "familyName": "Lee"],
                "emails": [["value": "b@x.example", "type": "work"]],
            ]),
        Case(
            name: "dotted names inside a value",
            operations: [["op": "add", "value": ["name.familyName": "Ray", "displayName": "Ann Ray"]]],
            changed: ["name": ["givenName": "Ann", "familyName": "Ray"], "displayName": "Ann Ray"]),
        Case(
            name: "the schema before the name",
            operations: [
                ["op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:userName", "value": "anna"]
            ], changed: ["userName": "anna"]),
        Case(
            name: "names in any case", operations: [["OP": "REPLACE", "Path": "USERNAME", "VALUE": "anna"]],
            changed: ["userName": "anna"]),
        Case(
            name: "a part is taken away", operations: [["op": "remove", "path": "name.givenName"]],
            changed: ["name": ["familyName": "Lee"]]),
        Case(
            name: "all of it is taken away", operations: [["op": "remove", "path": "name"]], changed: ["name": .none]),
        Case(
            name: "null takes away", operations: [["op": "replace", "path": "displayName", "value": nil]],
            changed: ["displayName": .none]),
        Case(
            name: "parts are merged", operations: [["op": "replace", "path": "name", "value": ["familyName": "Ray"]]],
            changed: ["name": ["givenName": "Ann", "familyName": "Ray"]]),
        Case(
            name: "another address is added",
            operations: [["op": "add", "path": "emails", "value": [["value": "b@x.example"]]]],
            changed: ["emails": [["value": "ann@x.example", "type": "work"], ["value": "b@x.example"]]]),
        Case(
            name: "what is there is not added again",
            operations: [["op": "add", "path": "emails", "value": [["value": "ANN@x.example"]]]], changed: [:]),
        Case(
            name: "what providers repeat of what they were told",
            operations: [
                [
                    "op": "replace",
                    "value": ["id": "stf_1", "schemas": ["x"], "meta": ["version": "1"], "groups": [], "title": "CEO"],
                ]
            ], changed: [:]),
        Case(
            name: "an external id", operations: [["op": "add", "path": "externalId", "value": "42"]],
            changed: ["externalId": "42"]),
    ]

    @Test(arguments: cases)
    func `a person is patched`(entry: Case) throws {
        #expect(try Self.patched(Self.user, entry.operations) == Self.with(Self.user, entry.changed))
    }

    @Test func `members are added and taken out in every shape that is sent`() throws {
        func members(_ operations: JSON) throws -> [String] {
            try Self.patched(Self.group, operations)["members"]?.array?.compactMap { $0["value"]?.string } ?? []
        }
        #expect(
            try members([["op": "add", "path": "members", "value": [["value": "stf_3"]]]]) == [
                "stf_1", "stf_2", "stf_3",
            ])
        #expect(
            try members([["op": "Add", "path": "members", "value": [["$ref": nil, "value": "stf_1"]]]]) == [
                "stf_1", "stf_2",
            ])
        #expect(try members([["op": "remove", "path": "members[value eq \"stf_1\"]"]]) == ["stf_2"])
        #expect(try members([["op": "Remove", "path": "members", "value": [["value": "stf_2"]]]]) == ["stf_1"])
        #expect(try members([["op": "remove", "path": "members[value eq \"stf_9\"]"]]) == ["stf_1", "stf_2"])
        #expect(try members([["op": "remove", "path": "members"]]) == [])
        #expect(try members([["op": "replace", "path": "members", "value": [["value": "stf_7"]]]]) == ["stf_7"])
        #expect(
            try members([["op": "replace", "value": ["id": "support_l1", "displayName": "Support L1", "members": []]]])
                == [])
        #expect(
            try members([
                ["op": "remove", "path": "members[value eq \"stf_1\" or value eq \"stf_2\"]"],
                ["op": "add", "path": "members", "value": ["value": "stf_5"]],
            ]) == ["stf_5"])
    }

    @Test(
        arguments: [
            ("[]", .invalidSyntax), (#"[{"op":"move","path":"a"}]"#, .invalidSyntax),
            (#"[{"path":"active"}]"#, .invalidSyntax),
            (#"[{"op":"remove"}]"#, .noTarget), (#"[{"op":"replace","path":"active"}]"#, .invalidValue),
            (#"[{"op":"replace","value":"x"}]"#, .invalidValue),
            (#"[{"op":"replace","path":"nothing","value":1}]"#, .invalidPath),
            (#"[{"op":"replace","path":"emails[type","value":1}]"#, .invalidPath),
            (#"[{"op":"replace","path":"userName.x","value":1}]"#, .invalidPath),
            (#"[{"op":"replace","path":"name.nothing","value":1}]"#, .invalidPath),
            (#"[{"op":"replace","path":"name[givenName pr].x","value":1}]"#, .invalidPath),
            (#"[{"op":"replace","path":"emails[type eq \"home\"].value","value":"a@b.example"}]"#, .noTarget),
            (#"[{"op":"replace","path":"id","value":"x"}]"#, .mutability),
            (#"[{"op":"replace","path":"groups","value":[]}]"#, .mutability),
            (#"[{"op":"replace","path":7,"value":1}]"#, .invalidPath),
        ] as [(String, ProvisioningError.Reason)])
    func `what can't be done is refused with the standard's own word`(
        operations: String, reason: ProvisioningError.Reason
    ) throws {
        let json = try JSON(parsing: operations)
        do {
            _ = try Self.patched(Self.user, json)
            Issue.record("\(operations) was done")
        } catch {
            #expect(error.reason == reason, "\(operations): \(error.detail)")
        }
    }

    @Test func `many members come and go at once, and more than that are refused`() throws {
        func members(_ numbers: Range<Int>) -> JSON { .array(numbers.map { ["value": .string("stf_m\($0)")] }) }
        func adding(_ times: Int) -> JSON {
            .array((0..<times).map { ["op": "add", "path": "members", "value": members($0 * 2000..<($0 + 1) * 2000)] })
        }
        // Whoever is a member already stays so once.
        let twice: JSON = [
            ["op": "add", "path": "members", "value": members(0..<2000)],
            ["op": "add", "path": "members", "value": members(1000..<3000)],
            ["op": "remove", "path": "members", "value": members(1..<2001)],
        ]
        #expect(try Self.patched(Self.group, twice)["members"]?.array?.count == 2 + 3000 - 2000)
        #expect(try Self.patched(Self.group, adding(5))["members"]?.array?.count == 10_002)
        let one: JSON = [["op": "replace", "path": "members", "value": members(0..<2001)]]
        for operations in [one, adding(6)] {
            do {
                _ = try Self.patched(Self.group, operations)
                Issue.record("it was done")
            } catch {
                #expect(error.reason == .tooMany)
            }
        }
    }
}
