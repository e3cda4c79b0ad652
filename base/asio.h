#pragma once
// The only way to Boost.Asio: 1.74 uses std::exchange without <utility>.
#include <utility>

#include <boost/asio.hpp>
