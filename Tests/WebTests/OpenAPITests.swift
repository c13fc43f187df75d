import Consoles
import Foundation
import HTML
import Kernel
import TestSupport
import Testing

@testable import Web

@Suite struct OpenAPITests {
    static let catalog = Catalog(Consoles.all)

    /// With POSTERN_GOLDEN=write the file is written instead.
    @Test func `the document is the committed one`() throws {
        let file = HouseRulesTests.root.appendingPathComponent("Golden/openapi.json")
        let text = OpenAPI.text(Self.catalog)
        if ProcessInfo.processInfo.environment["POSTERN_GOLDEN"] == "write" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        let golden = try String(contentsOf: file, encoding: .utf8)
        let differing = zip(text.split(separator: "\n"), golden.split(separator: "\n")).first { $0 != $1 }
        #expect(
            text == golden,
            "Golden/openapi.json differs, first at \(String(describing: differing)); write it with POSTERN_GOLDEN=write."
        )
    }

    /// With POSTERN_GOLDEN=write the file is written instead.
    @Test func `the runtime listener's document is the committed one`() throws {
        let endpoints = Consoles.all.flatMap(\.runtime)
        try Golden.expect("runtime-openapi.json", RuntimeOpenAPI.text(endpoints))
        #expect(Set(endpoints.map(\.name)).count == endpoints.count)
        let document = RuntimeOpenAPI.document(endpoints)
        for endpoint in endpoints {
            #expect(endpoint.summary.hasSuffix("."), "\(endpoint.name)")
            let entry = document["paths"]?[endpoint.path]?[endpoint.verb.rawValue]
            #expect(entry?["operationId"]?.string == endpoint.name)
            #expect(entry?["tags"]?.array == [.string(endpoint.scope.rawValue)])
        }
    }

    @Test func `every operation and every read is in the document, and only once`() throws {
        let document = OpenAPI.document(Self.catalog)
        let entries = (document["paths"]?.object ?? [:]).values.flatMap { ($0.object ?? [:]).values }
        let ids = entries.compactMap { $0["operationId"]?.string }
        #expect(Set(ids).count == ids.count)
        for operation in Self.catalog.operations {
            #expect(ids.contains(operation.spec.name) == !operation.spec.systemOnly, "\(operation.spec.name)")
        }
        for read in Self.catalog.reads { #expect(ids.contains(read.name), "\(read.name)") }
    }

    @Test func `everything may be asked for at an address that is no text`() {
        let documents = [OpenAPI.document(Self.catalog), RuntimeOpenAPI.document(Consoles.all.flatMap(\.runtime))]
        for (path, item) in documents.flatMap({ Array($0["paths"]?.object ?? [:]) }) {
            for (verb, entry) in item.object ?? [:] where entry["responses"] != nil {
                #expect(entry["responses"]?["400"] != nil, "\(verb) \(path)")
            }
        }
    }

    @Test func `the export takes what the list takes`() {
        let paths = OpenAPI.document(Self.catalog)["paths"]
        func parameters(_ path: String) -> [JSON] { paths?[path]?["get"]?["parameters"]?.array ?? [] }
        let list = parameters("/audit-events").filter { !["limit", "cursor"].contains($0["name"]?.string) }
        #expect(!list.isEmpty && parameters("/audit-events/export").dropLast() == list[...])
        #expect(parameters("/audit-events/export").last?["name"] == "format")
        for read in Self.catalog.reads where read.export != nil {
            let list = parameters(read.path).filter { !["limit", "cursor"].contains($0["name"]?.string) }
            #expect(!list.isEmpty && parameters(read.path + "/export") == list)
        }
    }

    @Test func `every answer names the headers it may carry`() {
        let paths = OpenAPI.document(Self.catalog)["paths"]?.object ?? [:]
        func headers(_ path: String, _ method: String, _ status: String) -> Set<String> {
            Set((paths[path]?[method]?["responses"]?[status]?["headers"]?.object ?? [:]).keys)
        }
        #expect(headers("/tenants/{id}", "get", "200").isSuperset(of: ["ETag", "RateLimit", "RateLimit-Policy"]))
        #expect(headers("/tenants", "get", "200").isSuperset(of: ["Link", "RateLimit"]))
        #expect(headers("/tenants", "post", "201").isSuperset(of: ["ETag", "Location", "Idempotency-Replayed"]))
        #expect(headers("/tenants/{id}/hard-delete", "post", "202").contains("Location"))
        for read in Self.catalog.reads where !read.isList && read.path.hasSuffix("{id}") {
            #expect(read.hasVersion == (read.name != "audit.view"), "\(read.name)")
        }
    }

    @Test func `every reference leads somewhere`() {
        let document = OpenAPI.document(Self.catalog)
        var references: Set<String> = []
        func walk(_ json: JSON) {
            switch json {
            case .object(let members):
                if let reference = members["$ref"]?.string { references.insert(reference) }
                members.values.forEach(walk)
            case .array(let elements): elements.forEach(walk)
            default: break
            }
        }
        walk(document)
        #expect(!references.isEmpty)
        for reference in references {
            var at: JSON? = document
            for part in reference.split(separator: "/").dropFirst() { at = at?[String(part)] }
            #expect(at != nil, "\(reference)")
        }
    }
}
