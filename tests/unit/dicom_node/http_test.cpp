#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "dicom_node/http/server.h"

using namespace scopenode;
using namespace scopenode::dicom_node;

namespace {

std::unique_ptr<HttpServer> server() {
    auto started = HttpServer::start("127.0.0.1", 0, [](const std::string&, const std::string& path) {
        if (path == "/hello") return HttpResponse{200, "text/plain", "hello\n"};
        if (path == "/throw") throw std::runtime_error("secret");
        return problem(Code::kNotFound, "nothing at " + path);
    });
    REQUIRE(started);
    return std::move(*started);
}

/// Sends bytes and reads until the server closes.
std::string talk(int port, const std::string& request) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    ::send(socket, request.data(), request.size(), MSG_NOSIGNAL);
    std::string answer;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(socket, buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(got));
    ::close(socket);
    return answer;
}
std::string request(const std::string& line, const std::string& more = "") {
    return line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + "\r\n";
}
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("HTTP: answers - HEAD without body - a connection is used again - errors are problem+json") {
    const auto http = server();
    const int port = http->port();
    const auto hello = talk(port, request("GET /hello?x=1"));
    CHECK(has(hello, "HTTP/1.1 200"));
    CHECK(has(hello, "\r\n\r\nhello\n"));
    const auto head = talk(port, request("HEAD /hello"));
    CHECK(has(head, "Content-Length: 6"));
    CHECK(!has(head, "hello\n"));
    const auto two = talk(port, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" + request("GET /hello"));
    CHECK(two.find("hello\n") != two.rfind("hello\n"));
    const auto missing = talk(port, request("GET /nowhere"));
    CHECK(has(missing, "HTTP/1.1 404"));
    CHECK(has(missing, "application/problem+json"));
    const auto body = nlohmann::json::parse(missing.substr(missing.find("\r\n\r\n") + 4));
    CHECK(body.at("status") == 404);
    const auto post = talk(port, request("POST /hello", "Content-Length: 0\r\n"));
    CHECK(has(post, "HTTP/1.1 405"));
    CHECK(has(post, "Allow: GET, HEAD"));
    const auto thrown = talk(port, request("GET /throw"));
    CHECK(has(thrown, "HTTP/1.1 500"));
    CHECK(!has(thrown, "secret"));
}

TEST_CASE("HTTP: limits on header and body - what is no HTTP") {
    const auto http = server();
    CHECK(has(talk(http->port(), request("GET /hello", "X: " + std::string(9000, 'a') + "\r\n")), " 431 "));
    CHECK(has(talk(http->port(), request("POST /hello", "Content-Length: 1000000\r\n")), " 413 "));
    CHECK(has(talk(http->port(), "hello there\r\n\r\n"), " 400 "));
}

TEST_CASE("HTTP: a port in use is named") {
    const auto http = server();
    const auto second = HttpServer::start("127.0.0.1", http->port(), {});
    REQUIRE(!second);
    CHECK(second.error().code == Code::kInUse);
}
