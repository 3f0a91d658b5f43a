// Registers fake devices in the process that preloads the library; README.md tells the variables.
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

void fake_register(const char * name, const std::vector<size_t> & memory, bool computes);

// "6144,8192" -> {6144, 8192}
static std::vector<size_t> numbers(const char * text) {
    std::vector<size_t> found;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) found.push_back(strtoull(part.c_str(), nullptr, 10));
    return found;
}

__attribute__((constructor)) static void init() {
    const char * given = getenv("FAKE_GPU_NAME");
    const char * mib = getenv("FAKE_GPU_MIB");
    std::string name = given ? given : "FAKE";
    std::vector<size_t> all, shown;
    for (size_t size : numbers(mib ? mib : "")) all.push_back(size << 20);
    if (const char * visible = name == "CUDA" ? getenv("CUDA_VISIBLE_DEVICES") : nullptr) {
        for (size_t number : numbers(visible)) if (number < all.size()) shown.push_back(all[number]);
    } else {
        shown = all;
    }
    if (!shown.empty()) fake_register(name.c_str(), shown, getenv("FAKE_GPU_COMPUTES"));
}
