#include "dicom_node/http/server.h"

#include "base/asio.h"

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/log.h"

namespace scopenode::dicom_node {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr const char* kRoom = "http";
constexpr std::uint32_t kHeaderLimit = 8192;
constexpr std::uint64_t kBodyLimit = 65536;
constexpr auto kReadTime = std::chrono::seconds(15);
constexpr auto kWriteTime = std::chrono::seconds(30);
constexpr int kMostConnections = 64;

HttpResponse problem_of(int status, const std::string& title, const std::string& detail) {
    nlohmann::json body = {{"type", "about:blank"}, {"title", title}, {"status", status}};
    if (!detail.empty()) body["detail"] = detail;
    return {status, "application/problem+json",
            body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

HttpResponse problem_of(http::status status, const std::string& detail) {
    return problem_of(static_cast<int>(status), std::string(http::obsolete_reason(status)), detail);
}

/// One connection: requests one after the other. Kept alive by the operations that it waits for.
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(tcp::socket socket, const HttpHandler& handler, int& open)
        : stream_(std::move(socket)), handler_(handler), open_(open) {
        ++open_;
    }
    ~Session() { --open_; }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void read() {
        parser_.emplace();
        parser_->header_limit(kHeaderLimit);
        parser_->body_limit(kBodyLimit);
        stream_.expires_after(kReadTime);
        http::async_read(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_read(error); });
    }

  private:
    void on_read(beast::error_code error) {
        if (error == http::error::header_limit || error == http::error::buffer_overflow)
            return write(problem_of(http::status::request_header_fields_too_large, ""), false, false);
        if (error == http::error::body_limit)
            return write(problem_of(http::status::payload_too_large, ""), false, false);
        if (error && error.category() == http::make_error_code(http::error::bad_method).category() &&
            error != http::error::end_of_stream && error != http::error::partial_message)
            return write(problem_of(http::status::bad_request, error.message()), false, false);
        if (error) return close();
        const auto& request = parser_->get();
        write(answer(request), request.keep_alive(), request.method() == http::verb::head);
    }

    HttpResponse answer(const http::request<http::string_body>& request) {
        const std::string method(request.method_string());
        const std::string target(request.target());
        if (target.empty() || target.front() != '/') return problem_of(http::status::bad_request, "no path");
        if (method != "GET" && method != "HEAD") return problem_of(http::status::method_not_allowed, method);
        auto answered =
            guard(Code::kInternal, [&] { return handler_(method, target.substr(0, target.find('?'))); });
        if (answered) return std::move(*answered);
        log::error(kRoom, "{} {}: {}", method, target, answered.error().message);
        return problem_of(http::status::internal_server_error, "");
    }

    void write(HttpResponse answer, bool keep_alive, bool head) {
        response_ = {};
        response_.version(11);
        response_.result(static_cast<unsigned>(answer.status));
        response_.set(http::field::server, "scopenode");
        response_.set(http::field::content_type, answer.content_type);
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        if (answer.status == static_cast<int>(http::status::method_not_allowed))
            response_.set(http::field::allow, "GET, HEAD");
        response_.keep_alive(keep_alive);
        response_.content_length(answer.body.size());
        if (!head) response_.body() = std::move(answer.body);
        stream_.expires_after(kWriteTime);
        http::async_write(stream_, response_,
                          [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
                              if (error || !keep_alive) return self->close();
                              self->read();
                          });
    }

    void close() {
        beast::error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }

    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{kHeaderLimit + kBodyLimit};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
    const HttpHandler& handler_;
    int& open_;
};

}  // namespace

HttpResponse problem(Code code, const std::string& detail) {
    const CodeInfo& known = info(code);
    return problem_of(known.http_status, std::string(known.word), detail);
}

struct HttpServer::State {
    HttpHandler handler;
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    int open = 0;  ///< used by the server's thread only
    int port = 0;
    std::thread thread;

    void accept() {
        acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
            if (error == asio::error::operation_aborted) return;
            if (!error && open < kMostConnections) {
                beast::error_code ignored;
                socket.set_option(tcp::no_delay(true), ignored);
                std::make_shared<Session>(std::move(socket), handler, open)->read();
            }
            accept();
        });
    }

    void run() {
        for (;;) {
            const auto ran = guard(Code::kInternal, [&] { context.run(); });
            if (ran) return;
            log::error(kRoom, "{}", ran.error().message);
        }
    }
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() {
    stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& bind, int port,
                                                      HttpHandler handler) {
    auto state = std::make_unique<State>();
    state->handler = std::move(handler);
    beast::error_code error;
    tcp::resolver resolver(state->context);
    const auto found = resolver.resolve(bind, std::to_string(port), tcp::resolver::passive, error);
    if (error || found.empty())
        return fail(Code::kInvalidSettings, "cannot listen on {}: {}", bind, error.message());
    const tcp::endpoint endpoint = found.begin()->endpoint();
    auto& acceptor = state->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use)
        return fail(Code::kInUse, "HTTP port {} on {} is in use: choose another port in node.json", port,
                    bind);
    if (error) return fail(Code::kIo, "cannot listen on {}:{}: {}", bind, port, error.message());
    state->port = acceptor.local_endpoint().port();
    state->accept();
    state->thread = std::thread([s = state.get()] { s->run(); });
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

int HttpServer::port() const {
    return state_->port;
}

void HttpServer::stop() {
    state_->context.stop();
    if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace scopenode::dicom_node
